"""Tiny archives of the published quality data sets, each in the published layout."""

import io
import zipfile

import numpy as np
import openpyxl
import scipy.io
from PIL import Image

from vision_jax.data.datasets import live


def picture(value, kind):
    """An encoded image that holds `value` everywhere."""
    file = io.BytesIO()
    Image.new('RGB', (14, 12), (value, value, value)).save(file, kind)
    return file.getvalue()


def cells(texts):
    """A MATLAB cell array of texts, `[1, n]`."""
    array = np.empty((1, len(texts)), object)
    array[0] = [np.array([text]) for text in texts]
    return array


def spreadsheet(path, sheets):
    """Writes an .xlsx file of `{sheet: rows}`."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)


def write(folder, name, content):
    """Writes bytes or text below `folder`."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def tid2013(folder):
    """Upper case in the table, lower case on disk, as published; 25 is lower case in both."""
    names = ['I01_01_1.bmp', 'I01_24_5.bmp', 'i25_08_3.bmp']
    scores = ['5.51429', '1.20000', '3.02778']
    table = ''.join(f'{score} {name}\r\n' for score, name in zip(scores, names, strict=True))
    write(folder, 'mos_with_names.txt', table)
    write(folder, 'reference_images/I01.BMP', picture(200, 'bmp'))
    write(folder, 'reference_images/i25.bmp', picture(225, 'bmp'))
    for value, name in enumerate(names):
        write(folder, f'distorted_images/{name.lower()}', picture(value, 'bmp'))
    return {'quality': [5.51429, 1.2, 3.02778], 'reference': [1, 1, 25],
            'distortion': [1, 24, 8], 'level': [1, 5, 3]}


def kadid10k(folder):
    """Inside its zip, as downloaded."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / 'kadid10k.zip', 'w') as archive:
        archive.writestr('kadid10k/dmos.csv', 'dist_img,ref_img,dmos,var\n'
                         'I01_01_01.png,I01.png,4.57,0.496\nI81_25_05.png,I81.png,1.23,0.42\n')
        archive.writestr('kadid10k/images/I01.png', picture(201, 'png'))
        archive.writestr('kadid10k/images/I81.png', picture(225, 'png'))
        archive.writestr('__MACOSX/kadid10k/images/._I01_01_01.png', b'junk')
        for value, name in enumerate(['I01_01_01.png', 'I81_25_05.png']):
            archive.writestr(f'kadid10k/images/{name}', picture(value, 'png'))
    return {'quality': [4.57, 1.23], 'reference': [1, 81], 'distortion': [1, 25], 'level': [1, 5]}


def live_release_2(folder):
    """Two images a distortion, of which the second jpeg is an undistorted copy."""
    root = folder / 'databaserelease2'
    for number, name in enumerate(live.FOLDERS):
        for image in (1, 2):
            write(root, f'{name}/img{image}.bmp', picture(10 * number + image, 'bmp'))
    for value, name in enumerate(['bikes', 'ocean'], start=1):
        write(root, f'refimgs/{name}.bmp', picture(200 + value, 'bmp'))
    copies = np.zeros((1, 10))
    copies[0, 3] = 1
    scores = np.arange(10.0)[None] * 7
    names = ['ocean.bmp', 'bikes.bmp'] * 5
    scipy.io.savemat(root / 'dmos.mat', {'dmos': scores, 'orgs': copies})
    scipy.io.savemat(root / 'dmos_realigned.mat',
                     {'dmos_new': scores + 1, 'orgs': copies, 'dmos_std': scores})
    scipy.io.savemat(root / 'refnames_all.mat', {'refnames_all': cells(names)})
    kept = [0, 1, 2, 4, 5, 6, 7, 8, 9]
    return {'quality': [7.0 * i for i in kept], 'quality_realigned': [7.0 * i + 1 for i in kept],
            'reference': [2 - i % 2 for i in kept], 'distortion': [i // 2 + 1 for i in kept]}


def csiq(folder):
    """The table begins below a heading, away from the corner; one name is a number."""
    rows = [
        (1600, 1, 'noise', 1, 0.05, 0.062), ('trolley', 3, 'jpeg 2000', 4, 0.1, 0.7),
        ('trolley', 6, 'contrast', 2, 0.1, 0.3),
    ]
    header = ('image', 'dst_idx', 'dst_type', 'dst_lev', 'dmos_std', 'dmos')
    table = [('CSIQ',), (), (None,), (None, None, None, *header)]
    table += [(None, None, None, *row) for row in rows] + [(None,) * 9]
    folder.mkdir(parents=True)
    spreadsheet(folder / 'csiq.DMOS.xlsx',
                {'all_by_distortion': [('other', 'table')], 'all_by_image': table})
    with zipfile.ZipFile(folder / 'dst_imgs.zip', 'w') as archive:
        for value, name in enumerate(['awgn/1600.AWGN.1.png', 'jpeg2000/trolley.jpeg2000.4.png',
                                      'contrast/trolley.contrast.2.png']):
            archive.writestr(name, picture(value, 'png'))
    with zipfile.ZipFile(folder / 'src_imgs.zip', 'w') as archive:
        for value, name in enumerate(['1600', 'trolley'], start=1):
            archive.writestr(f'src_imgs/{name}.png', picture(200 + value, 'png'))
    return {'quality': [0.062, 0.7, 0.3], 'reference': [1, 2, 2], 'distortion': [1, 3, 6],
            'level': [1, 4, 2]}


def koniq10k(folder):
    """Both resolutions side by side: the builder must take the larger."""
    write(folder, 'koniq10k_scores_and_distributions.csv',
          '"image_name","c1","c2","c3","c4","c5","c_total","MOS","SD","MOS_zscore"\n'
          '"10004473376.jpg",0,0,25,73,7,105,3.828571429,0.527278894,77.38\n'
          '"10007357496.jpg",0,3,45,47,1,96,3.479166667,0.580003024,70.28\n')
    for value, name in enumerate(['10004473376.jpg', '10007357496.jpg']):
        write(folder, f'512x384/{name}', picture(200, 'jpeg'))
        write(folder, f'1024x768/{name}', picture(value, 'jpeg'))
    return {'quality': [3.828571429, 3.479166667], 'quality_zscore': [77.38, 70.28]}


def live_in_the_wild(folder):
    """Seven practice images, then two."""
    root = folder / 'ChallengeDB_release'
    names = [f't{i}.bmp' for i in range(1, 8)] + ['3.bmp', '4.JPG']
    for value, name in enumerate(['3.bmp', '4.JPG']):
        write(root, f'Images/{name}', picture(value, 'bmp'))
    (root / 'Data').mkdir()
    scores = np.append(np.full(7, 99.0), [63.96, 35.2])[None]
    images = cells(names).T
    scipy.io.savemat(root / 'Data/AllImages_release.mat', {'AllImages_release': images})
    scipy.io.savemat(root / 'Data/AllMOS_release.mat', {'AllMOS_release': scores})
    scipy.io.savemat(root / 'Data/AllStdDev_release.mat', {'AllStdDev_release': scores / 4})
    return {'quality': [63.96, 35.2], 'deviation': [15.99, 8.8]}


def spaq(folder):
    """Images beside annotations."""
    for value, name in enumerate(['00001.jpg', '00002.jpg']):
        write(folder, f'TestImage/{name}', picture(value, 'jpeg'))
    (folder / 'Annotations').mkdir()
    spreadsheet(folder / 'Annotations/MOS and Image attribute scores.xlsx', {'Sheet1': [
        ('Image name', 'MOS', 'Brightness', 'Colorfulness', 'Contrast', 'Noisiness', 'Sharpness'),
        ('00001.jpg', 28.75, 40.0, 45.0, 43.0, 31.0, 25.0),
        ('00002.jpg', 75.5, 66.0, 70.0, 69.0, 71.0, 80.0)]})
    return {'quality': [28.75, 75.5], 'brightness': [40, 66], 'sharpness': [25, 80]}


def pieapp(folder):
    """Inside its zip; the first table also has the photograph itself."""
    images = {'ref_9': ['distort_9_jpeg_inter_1.png', 'distort_9_sparse_sampling_intra_2.png'],
              'ref_23': ['distort_23_jpeg_inter_4.png']}
    scores = {'ref_9': ['ref_9.png,0', *(f'{name},{value}' for name, value in
                                         zip(images['ref_9'], ('0.75', '3.5'), strict=True))],
              'ref_23': [f'{images["ref_23"][0]},1.25']}
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / 'all_data_PieAPP_dataset_CVPR_2018.zip', 'w') as archive:
        archive.writestr('test_reference_list.txt', 'ref_9.png\r\nref_23.png\r\n')
        value = iter(range(3))
        for stem, names in images.items():
            number = int(stem.removeprefix('ref_'))
            archive.writestr(f'reference_images/test/{stem}.png', picture(200 + number, 'png'))
            for name in names:
                archive.writestr(f'distorted_images/test/{stem}/{name}',
                                 picture(next(value), 'png'))
            lines = ''.join(f'{stem}.png,{line}\n' for line in scores[stem])
            archive.writestr(f'labels/test/{stem}_per_image_score.csv',
                             'ref. image,distorted image A,score for A\n' + lines)
    return {'quality': [0.75, 3.5, 1.25], 'reference': [9, 9, 23], 'distortion': [1, 2, 1]}


WRITERS = {
    'pieapp': pieapp,
    'tid2013': tid2013, 'kadid10k': kadid10k, 'live': live_release_2, 'csiq': csiq,
    'koniq10k': koniq10k, 'live_in_the_wild': live_in_the_wild, 'spaq': spaq,
}
